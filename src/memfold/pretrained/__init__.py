"""The bundled forecaster: one small LSTM trained on synthetic series only, that forecasts any series at once."""
