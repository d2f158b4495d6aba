"""The kind cluster of the end-to-end tests, from nothing, with or without an image registry.

With a registry it is `kind create cluster` and its stock node image. Without one, everything is made here: a Docker
engine of our own where none runs (`engine`), root file systems from Debian's packages (`debian`), Kubernetes'
programs from Go modules (`kube_assets`), the node image of both (`node_image`), and the base image that the
Containerfiles name (`python_image`). `cluster` brings it up and takes it down, `command` is what people type.

What is slow to make is kept in the cache: the programs, and the engine's data folder with all images. What runs is
under one folder of /run, so that a run that was killed can be cleaned up by the next.
"""
