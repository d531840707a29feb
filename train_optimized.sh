#!/usr/bin/env bash
# The overnight run on one 24 GB GPU: batch 1, 16 accumulation steps, 40 base features, bf16, 200 epochs,
# cosine schedule, the GPU's cache cleared periodically. Run it again and it goes on where it stopped.
export PYTORCH_CUDA_ALLOC_CONF="${PYTORCH_CUDA_ALLOC_CONF:-expandable_segments:True}"
exec wml train --config hrrr --data "${WML_DATA:-data/dataset.zarr}" --run "${WML_RUN:-runs/overnight}" "$@"
