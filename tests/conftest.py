"""What every test may use."""

pytest_plugins = ["trayapp.oauthtest.plugin"]
