"""`TabularFeatures.encode` in TensorFlow's graph. The only module here that needs TensorFlow."""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl.features.columns import Column, Numeric, Sequence, VocabularyColumn
from keras_mtl.features.encoding import Encoding
from keras_mtl.features.hashing import MIX_SHIFT, MIXERS, MULTIPLIER
from keras_mtl.features.vocabulary import MISSING_INTEGER, HashBuckets, Vocabulary

