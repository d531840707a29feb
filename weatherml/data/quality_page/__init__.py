"""The quality report of a dataset as a page, `quality.html`: one file without any reference outside itself."""

from weatherml.data.quality_page.page import write_page as write_page
