"""Turnover by month and zone, from a table of orders."""

from collections import defaultdict

from parcels.zones import zone


def turnover(orders):
    """Return {(month, zone): euros} of orders given as (date, country, euros); dates as YYYY-MM-DD."""
    table = defaultdict(float)
    for date, country, euros in orders:
        table[date[:7], zone(country)] += euros
    return dict(table)


def busiest_month(orders):
    """Return the month with the highest turnover, the earlier one of equals."""
    months = defaultdict(float)
    for (month, _), euros in turnover(orders).items():
        months[month] += euros
    return max(sorted(months), key=months.get)
