"""Imports every model, so that the metadata is complete for migrations."""

from backend.collections import models as _collections
from backend.content import models as _content
from backend.contributors import models as _contributors
from backend.coordination import models as _coordination
from backend.database.base import Base
from backend.datasets import models as _datasets
from backend.http import nonces as _nonces
from backend.indexer import models as _indexer
from backend.orders import models as _orders
from backend.tasks import models as _tasks

MODULES = (
    *(_collections, _content, _contributors, _coordination, _datasets, _nonces, _indexer, _orders, _tasks),
)
METADATA = Base.metadata
