"""From an archive to tensors: prepare, the store on disk, statistics, windows, and the loader."""
