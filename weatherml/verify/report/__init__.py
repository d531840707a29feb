"""The report: one HTML file without any reference outside itself."""

from weatherml.verify.report.page import render as render
