"""Prices, zones and labels for a small parcel service."""
