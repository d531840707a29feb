#!/usr/bin/env bash
# The overnight run on one 24 GB GPU: batch 1, 16 accumulation steps, 40 base features, bf16, 200 epochs,
# cosine schedule, the GPU's cache cleared periodically. Run it again and it goes on where it stopped.
# WML_LOW_MEMORY=1: the same effective batch in under 1 GiB of tensors, tile by tile, at about twice the time a step.
if [[ "${WML_LOW_MEMORY:-0}" == 1 ]]; then
    set -- --set model.norm=point --set train.checkpointing=tiles "$@"
fi
export PYTORCH_CUDA_ALLOC_CONF="${PYTORCH_CUDA_ALLOC_CONF:-expandable_segments:True}"
exec wml train --config hrrr --data "${WML_DATA:-data/dataset.zarr}" --run "${WML_RUN:-runs/overnight}" "$@"
