"""The console in a browser. `app` puts it together; `guard` and `people` say who comes in; `api` is for programs."""
