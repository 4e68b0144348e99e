"""The comparisons of the paper as commands: grids of runs, claims with intervals, pictures."""
