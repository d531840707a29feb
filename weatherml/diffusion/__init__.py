"""The mathematics of diffusion: noise levels, schedules, preconditioning. All in the variables of Karras et al. 2022."""
