"""What a study costs, before anything of it runs: trainings and what is measured of them, disk, memory, downloads."""
