"""phenoviews: which views make a self-supervised encoder keep the phenotype?"""
