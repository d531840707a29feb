"""Weather archives in; trained, verified kilometre-scale forecasts out.

The stages meet on disk: `weatherml.data` prepares a dataset, `weatherml.train` makes a run,
`weatherml.forecast` rolls it out, `weatherml.verify` scores the result.
"""

# pyproj before eccodes: both wheels bundle libproj, and the other order crashes at interpreter exit.
