"""The door for notebooks and scripts: each stage as one function, xarray objects in and out; see docs/python.md."""
