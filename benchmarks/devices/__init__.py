"""Fits the device catalogue to public measurements, and judges the fit on what it has not seen."""
