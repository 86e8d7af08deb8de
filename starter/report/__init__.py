"""The report of a rollout: one HTML file with everything in it."""

from starter.report.page import render_report as render_report
from starter.report.view import ReportView as ReportView
