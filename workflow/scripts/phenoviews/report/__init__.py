"""The page: everything that a study has found, as a folder of HTML that opens in a browser without network or server.

    told (what the study says)  +  files of panels, runs and screens  →  sections  →  pages

A section is a module with a function `pages(found)` that yields its pages as plain data (`pages.Page`), a template of
its own in `templates/`, and a line in `page.SECTIONS`. What it loads in the browser is written as a script that calls
`phenoviews.give(name, data)`, since a page that is opened as a file may load scripts but fetch nothing.

No number is computed here. What stands on the page is what stands in the panels' own files.
"""
