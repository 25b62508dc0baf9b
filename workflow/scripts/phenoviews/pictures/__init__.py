"""Pictures by which a person judges a plate: the nuclei that were found in it, and the light that was divided out."""
