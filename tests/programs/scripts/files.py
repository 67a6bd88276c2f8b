"""Makes, reads, renames and removes files below /out."""

import os
import pathlib
import shutil
import tempfile

out = pathlib.Path("/out")
(out / "sub" / "deep").mkdir(parents=True)
(out / "text.txt").write_text("Grüße, 世界\n" * 100, encoding="utf-8")
with open(out / "bytes.bin", "wb") as file:
    file.write(bytes(range(256)) * 300)
    file.seek(1000)
    file.write(b"seek")
    file.truncate(50_000)
with open(out / "text.txt", "a", encoding="utf-8") as file:
    file.write("and more\n")
    print(file.tell())
os.rename(out / "bytes.bin", out / "sub" / "renamed.bin")
shutil.copytree(out / "sub", out / "copy")
os.remove(out / "copy" / "renamed.bin")
os.symlink("text.txt", out / "link")
for folder, folders, files in sorted(os.walk(out)):
    sizes = [os.stat(os.path.join(folder, name)).st_size for name in sorted(files)]
    print(folder, sorted(folders), sorted(files), sizes)
print((out / "link").read_text(encoding="utf-8")[:5])
os.utime(out / "text.txt", (86_400, 86_400))
print(os.stat(out / "text.txt").st_mtime, os.access(out / "nowhere", os.F_OK))
for attempt in [
    lambda: os.rmdir(out / "copy"),
    lambda: os.mkdir(out / "sub"),
    lambda: open(out / "nowhere"),
    lambda: open(out),
    lambda: os.listdir(out / "text.txt"),
    lambda: os.unlink(out / "nowhere"),
]:
    try:
        attempt()
    except OSError as error:
        print(type(error).__name__, error)
with tempfile.TemporaryFile(dir=out) as file:
    file.write(b"gone")
    file.seek(0)
    print(file.read())
