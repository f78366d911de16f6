"""Forecasts of series without torch."""
