"""The console in a browser. `app` puts it together; `guard` and `people` decide who enters; `api` is for programs."""
