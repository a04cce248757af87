"""Tasks: what a user wants done. One package or file a task; `TASKS` lists them."""
