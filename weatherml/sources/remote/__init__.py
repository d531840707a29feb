"""Archives that lie in a bucket or on a web server."""

from weatherml.sources.remote.bucket import Bucket as Bucket
from weatherml.sources.remote.bucket import is_url as is_url
from weatherml.sources.remote.pool import in_threads as in_threads
