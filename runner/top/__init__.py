"""`leakrun top`: a run in progress on the screen. `watching` looks, and knows no screen; `app` draws it, with textual."""
