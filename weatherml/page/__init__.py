"""What the pages of the tool share: style sheet, figures, charts as inline SVG."""

from weatherml.page.template import fill as fill
