"""A run as a picture: who sent what to whom, who was in which view, what went wrong and when.

A `Recording` is what the picture shows. An observer collects it from a simulation, `merging` from
the files that real replicas wrote (`pbft.recorder`), and `page` makes one HTML file of it.
"""
