"""Counts the words of standard input, and tells what it was given."""

import collections
import json
import os
import re
import sys
import unicodedata

text = sys.stdin.read()
words = re.findall(r"\w+", unicodedata.normalize("NFC", text).casefold())
counted = collections.Counter(words)
print(json.dumps(counted.most_common(8), ensure_ascii=False, indent=1))
print("ß→ẞ, 世界, 🦀", sum(map(len, words)), file=sys.stderr)
print(sys.argv, sorted(os.environ.items()), os.getcwd(), sys.version_info[:3])
sys.exit(len(counted) % 100)
