"""From a screen's plates to single cells: fields, illumination, nuclei, crops, subsets.

A screen is a table with one row per field (`screen`); the images of a plate lie in a zip or a folder (`source`).
"""
