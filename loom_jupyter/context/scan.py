"""Scan: which files a workspace holds, as git would see them."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from loom_jupyter.context import git
from loom_jupyter.context.files import Folders, plain, read
from loom_jupyter.context.history import Status, Tracked, is_utf8
from loom_jupyter.context.repository import NoGitError, Repository
from loom_jupyter.context.terms import words
from loom_jupyter.errors import Cancelled

# Ignored: the patterns of a .gitignore, read where there is no git to ask.
#
# A file that came with a repository must not cost more than others do. Python's regular expressions try every
# way to spread the stars of a pattern over a name, which takes ages for ``a*a*a*…b``; here each star takes the
# first place that fits, which is as good within one name of a folder or file.

LARGEST_IGNORE_FILE = 1 << 20
MAX_PATTERNS = 5000
"""Patterns of one file; git's own listing is not limited so."""
_STAR = r"\[\^/\]\*"
_STARS = re.compile(rf"(?:{_STAR}){{2,}}")
# What stands between two stars of one name: signs, escaped signs and classes of signs.
_BETWEEN = re.compile(rf"{_STAR}((?:\\.|\[\^?(?:\\.|[^\]\\])+\]|[^\\\[()/])+?)(?={_STAR})")
_FOLDERS = re.compile(r"\(\?:\.\+/\)\?|\(\?:/\.\+\)\?")
MOST_FOLDERS = 2
"""``**`` in one pattern."""


def read_patterns(base: str, path: str) -> tuple[GitIgnoreSpec, list[str]]:
    """Return the patterns of a file of the workspace, and those that are not used because they take too long.

    Raises
    ------
    OSError
        It is not a file, or too large.
    """
    data = read(base, path, LARGEST_IGNORE_FILE).data
    lines = data.decode("utf-8", "replace").splitlines()
    left_out = [f"all after number {MAX_PATTERNS}"] if len(lines) > MAX_PATTERNS else []
    patterns: list[GitIgnoreSpecPattern] = []
    for line in lines[:MAX_PATTERNS]:
        for pattern in GitIgnoreSpec.from_lines([line], backend="simple").patterns:
            if pattern.regex is None:
                continue
            made = str(pattern.regex.pattern)
            if len(_FOLDERS.findall(made)) > MOST_FOLDERS:
                left_out.append(line)
                continue
            patterns.append(GitIgnoreSpecPattern(re.compile(_quick(made)), pattern.include))
    return GitIgnoreSpec(patterns, backend="simple"), left_out


def _quick(pattern: str) -> str:
    """Return a pattern that matches the same names and never tries a star's other places."""
    return _BETWEEN.sub(r"(?>[^/]*?\1)", _STARS.sub("[^/]*", pattern))


LARGEST = 1_000_000
REMEMBERED = 200_000
NOT_UTF8 = "name is not valid UTF-8"
OUTSIDE = "name leads out of the workspace"
DEEPEST = 100
"""Folders within each other that are looked into where there is no git; nobody keeps work deeper."""
LARGEST_DATA = 256_000
DATA_SUFFIXES = words("csv tsv json xml svg yaml yml lock map snap geojson log")
EXCLUDED = words(
    ".git .hg .svn .jj node_modules .venv __pycache__ .ipynb_checkpoints .mypy_cache .ruff_cache "
    ".pytest_cache .hypothesis .tox .nox .eggs .terraform .idea .DS_Store"
)
# Of these the user is told; the others hold nothing that anybody wrote.
INSTALLED = words("node_modules .venv .tox .nox .eggs .terraform")
BINARY = words(
    "png jpg jpeg gif bmp ico webp avif tif tiff psd pdf zip gz bz2 xz zst 7z rar tar whl egg jar war "
    "class so dylib dll exe o a lib obj pyc pyo pyd wasm woff woff2 ttf otf eot mp3 mp4 m4a m4v mov avi "
    "mkv webm ogg wav flac npy npz pkl pickle parquet feather arrow h5 hdf5 nc zarr mat rds rda db sqlite "
    "sqlite3 duckdb gguf safetensors onnx pt pth ckpt bin dat iso dmg deb rpm docx xlsx pptx doc xls ppt "
    "odt mo gmo"
)


SECRET = words(
    ".netrc _netrc .npmrc .yarnrc .pypirc .pgpass pgpass.conf .my.cnf .mylogin.cnf .htpasswd .htdigest .dockercfg "
    ".git-credentials credentials credentials.json credentials.toml credentials.yaml credentials.yml "
    "credentials.xml "
    "secrets.json secrets.yaml secrets.yml secrets.toml secrets.env secrets.ini secrets.properties secret.json "
    "secret.yaml secret.yml secret.toml token.json tokens.json auth.json .vault-token .renviron .boto .s3cfg "
    ".passwd-s3fs rclone.conf .databrickscfg connections.toml local.settings.json .kubeconfig kaggle.json "
    "terraform.rc "
    ".terraformrc sftp.json sftp-config.json .ftpconfig .bash_history .zsh_history .python_history .psql_history "
    ".mysql_history .sqlite_history .rediscli_history .node_repl_history .irb_history .secrets .password "
    ".passwords "
    "passwords.txt logins.json datasources.local.xml webservers.xml .msmtprc .fetchmailrc .smbcredentials "
    "accesstokens.json azureprofile.json msal_token_cache.json application_default_credentials.json"
)
SECRET_SUFFIXES = words(
    "pem key p8 p12 pfx pkcs12 jks jceks keystore truststore bks kdbx ppk asc gpg pgp ovpn keychain agilekeychain "
    "tfstate tfvars htpasswd mobileprovision rdp"
)
# Numbered, dated and backed up forms: id_rsa_work, client_secret_123.json, terraform.tfstate.backup.
SECRET_HINT = re.compile(r"id_|secret|account|credentials|adminsdk|kubeconfig|\.tf|vault|\.(?:bak|old|orig|save)$")
SECRET_FORM = re.compile(
    r"id_(?:rsa|dsa|ecdsa|ed25519|xmss)(?:_sk)?(?:[._-].*)?(?<!\.pub)|client[_-]?secrets?.*\.json"
    r"|service[_-]?account.*\.json|.+[_-](?:service[_-]?account|credentials|adminsdk).*\.json"
    r"|(?:[\w-]+[._-])?kubeconfig(?:\.(?:ya?ml|json|conf|bak))?|kubeconfig-[\w-]+|.+\.tfstate\..+|.+\.tfvars\..+"
    r"|\.vault[_-]?pass.*|vault[_-]pass(?:word)?(?:[_-]file)?(?:\.(?:txt|ya?ml))?"
    r"|.+\.(?:pem|key|pfx|p12|kdbx)\.(?:bak|old|orig|save)|secrets?[._-].*\.(?:ya?ml|json|toml|env)"
)
# A usual name, secret in this folder only.
SECRET_PLACES = words(
    ".kube/config .aws/config .docker/config.json .cargo/credentials .snowsql/config .snowflake/config.toml "
    ".config/hub "
    "gh/hosts.yml .ssh/config .m2/settings.xml .m2/settings-security.xml .dbt/profiles.yml .oci/config "
    ".bundle/config "
    ".jupyter/jupyter_server_config.json .huggingface/token huggingface/token .kaggle/access_token "
    "doctl/config.yaml "
    ".heroku/config.json .circleci/cli.yml .idea/datasources.xml"
)
# These are meant to be read.
EXAMPLES = words("example sample template dist defaults")
SECRET_ENV = re.compile(r"\.env(rc)?(\.(?!example|sample|template|dist|defaults).*)?|.+\.env")


class Found(NamedTuple):
    """A file that may be indexed."""

    path: str
    size: int
    mtime_ns: int


class Skipped(NamedTuple):
    """A file that is not indexed, and why."""

    path: str
    reason: str


@dataclass
class Scan:
    """What a scan saw.

    Attributes
    ----------
    files
        By path, sorted.
    git
        Whether git was asked.
    changed, head
        What git answered: files that differ from the last commit, and that commit.
    notices
        What the user should know.
    apart
        Folders that are not the user's work, with a slash.
    """

    files: list[Found] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    git: bool = False
    changed: dict[str, str] = field(default_factory=dict)
    head: str = ""
    notices: list[str] = field(default_factory=list)
    apart: tuple[str, ...] = ()
    _left_out: set[str] = field(default_factory=set)

    def leave_out(self, folder: str, inside: str = "") -> None:
        """Name a folder of installed packages once, instead of its files."""
        path = f"{inside}{folder}/"
        if folder.rsplit("/", 1)[-1] in INSTALLED and path not in self._left_out:
            self._left_out.add(path)
            self.skipped.append(Skipped(path, "folder of installed packages"))


def scan(
    root: Path,
    cancel: threading.Event | None = None,
    tracked: Tracked | None = None,
    apart: tuple[str, ...] = (),
) -> Scan:
    """List the files of `root` that git does not ignore, with size and time; no file is read.

    Parameters
    ----------
    tracked
        What git tracked the last time.
    apart
        Folders below `root` that are not the user's work, with a slash.
    """
    base = os.path.realpath(root)
    seen = Scan(apart=apart)
    if not _by_git(base, tracked or Tracked(base), seen, cancel):
        why = seen.notices or ["not a git repository"]
        seen = Scan(apart=apart, notices=[f"{why[0]}: the evidence 'changed in git' and 'history' is missing"])
        _look_at(base, _walk(base, seen), seen, cancel)
    seen.files.sort()
    seen.skipped.sort()
    return seen


def _by_git(base: str, tracked: Tracked, seen: Scan, cancel: threading.Event | None) -> bool:
    """Ask git; False where there is no work tree, or one that ignores the folder. A notice says what is wrong."""
    try:
        at = tracked.look()
        if at is None:
            return False
        status = Status(at, base)
        try:
            names = tracked.names()
            _look_at(base, _expand(base, names, seen), seen, cancel)
            tree = status.finish(tracked.prefix)
        finally:
            status.stop()
        if not (names or tree.untracked) and _ignored_itself(at, base):
            return False
    except NoGitError as error:
        seen.notices.append(str(error))
        return False
    _look_at(base, _expand(base, tree.untracked, seen), seen, cancel)
    seen.git, seen.changed, seen.head = True, tree.changed, tree.head
    return True


def _look_at(base: str, names: Iterable[str], seen: Scan, cancel: threading.Event | None) -> None:
    folders = Folders(base)
    for number, name in enumerate(names):
        if cancel is not None and number % 512 == 0 and cancel.is_set():
            raise Cancelled
        if not (seen.apart and name.startswith(seen.apart)):
            _look(base, name, folders, seen)


def _look(base: str, name: str, folders: Folders, seen: Scan) -> None:
    """Sort one name into files or skipped."""
    told = _told_by_name(name)
    if told in (NOT_UTF8, OUTSIDE):
        seen.skipped.append(Skipped(os.fsencode(name).decode("utf-8", "replace"), told))
        return
    if not folders.reach(name):
        seen.skipped.append(Skipped(name, "below a symbolic link"))
        return
    try:
        info = os.lstat(f"{base}/{name}")
    except FileNotFoundError:
        return
    except OSError as error:
        seen.skipped.append(Skipped(name, f"cannot be read: {error.strerror}"))
        return
    reason = ""
    if stat.S_ISLNK(info.st_mode):
        reason = "symbolic link"
    elif not stat.S_ISREG(info.st_mode):
        reason = "not a regular file"
    elif told:
        reason = told
    elif info.st_size > LARGEST_DATA and info.st_size > (LARGEST_DATA if _is_data(name) else LARGEST):
        reason = f"too large ({info.st_size:,} bytes)"
    if reason:
        seen.skipped.append(Skipped(name, reason))
    else:
        seen.files.append(Found(name, info.st_size, info.st_mtime_ns))


@lru_cache(REMEMBERED)
def _told_by_name(name: str) -> str:
    """Return why a file of this name is not indexed; empty where the name is no reason."""
    if not is_utf8(name):
        return NOT_UTF8
    if not plain(name):
        return OUTSIDE
    base_name = name.rsplit("/", 1)[-1].lower()
    suffix = base_name.rpartition(".")[2]
    if _secret(name.lower(), base_name, suffix):
        return "may hold secrets"
    return "binary" if suffix in BINARY else ""


def _secret(path: str, base_name: str, suffix: str) -> bool:
    """Whether a file of this name holds keys or passwords, as a rule."""
    if base_name in SECRET or suffix in SECRET_SUFFIXES or SECRET_ENV.fullmatch(base_name):
        return True
    if "/".join(path.rsplit("/", 2)[-2:]) in SECRET_PLACES:
        return True
    if not SECRET_HINT.search(base_name) or not EXAMPLES.isdisjoint(re.split(r"[._-]", base_name)):
        return False
    return SECRET_FORM.fullmatch(base_name) is not None


def _is_data(name: str) -> bool:
    return name.rsplit("/", 1)[-1].lower().rpartition(".")[2] in DATA_SUFFIXES


def _listing(at: Repository, top: str) -> list[str]:
    """Return the names that git tracks or would track in a work tree."""
    answer = git.ask(at, "ls-files", "-co", "--exclude-standard", "-z", cwd=top)
    return [os.fsdecode(n) for n in answer.split(b"\0") if n]


def _ignored_itself(at: Repository, base: str) -> bool:
    """Whether the folder is ignored by the work tree that it lies in, so that git lists nothing."""
    try:
        git.ask(at, "check-ignore", "-q", ".", cwd=base)
    except NoGitError:
        return False
    return True


def _expand(base: str, names: Iterable[str], seen: Scan) -> Iterator[str]:
    """Drop excluded folders; look into submodules and nested repositories, which git lists as one entry."""
    waiting = [("", iter(names))]
    while waiting:
        inside, rest = waiting[-1]
        for name in rest:
            if (folder := _excluded(name)) is not None:
                seen.leave_out(folder, inside)
            elif name.endswith("/") or _is_folder(f"{base}/{inside}{name}"):
                inner = f"{inside}{name.rstrip('/')}"
                waiting.append((f"{inner}/", iter(_inner(base, inner, seen))))
                break
            else:
                yield f"{inside}{name}"
        else:
            waiting.pop()


def _inner(base: str, inner: str, seen: Scan) -> list[str]:
    """Return the names of a submodule or a nested repository."""
    if not plain(inner) or not Folders(base).reach(f"{inner}/."):
        return []
    try:
        at = git.nested(f"{base}/{inner}")
        return _listing(at, f"{base}/{inner}") if at is not None else []
    except NoGitError as error:
        seen.skipped.append(Skipped(f"{inner}/", str(error)))
        return []


@lru_cache(REMEMBERED)
def _excluded(name: str) -> str | None:
    """Return the outermost folder of a name that is left out, or None."""
    parts = name.split("/")
    if EXCLUDED.isdisjoint(parts):
        return None
    return "/".join(parts[: next(n for n, part in enumerate(parts) if part in EXCLUDED) + 1])


def _is_folder(path: str) -> bool:
    # A gitlink has no suffix as a rule; asking only those keeps the number of system calls down.
    if "." in path.rsplit("/", 1)[-1]:
        return False
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _walk(base: str, seen: Scan) -> Iterator[str]:
    """Walk without git; every folder's .gitignore holds for what lies below it."""
    waiting: list[tuple[str, list[tuple[str, GitIgnoreSpec]]]] = [("", [])]
    while waiting:
        folder, specs = waiting.pop()
        try:
            with os.scandir(f"{base}/{folder}" if folder else base) as found:
                entries = sorted(found, key=lambda e: e.name)
        except OSError as error:
            seen.skipped.append(Skipped(f"{folder}/", f"folder cannot be read: {error.strerror}"))
            continue
        if any(e.name == ".gitignore" for e in entries):
            specs = [*specs, (folder, _spec(base, f"{folder}/.gitignore".lstrip("/"), seen))]
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            below = entry.is_dir(follow_symlinks=False)
            if entry.name in EXCLUDED:
                seen.leave_out(name)
            elif _ignored(name + "/" if below else name, specs):
                continue
            elif not below:
                yield name
            elif name.count("/") < DEEPEST:
                waiting.append((name, specs))
            else:
                seen.skipped.append(Skipped(f"{name}/", f"more than {DEEPEST} folders deep"))


def _spec(base: str, path: str, seen: Scan) -> GitIgnoreSpec:
    try:
        spec, left_out = read_patterns(base, path)
    except OSError as error:
        seen.skipped.append(Skipped(path, f"its patterns cannot be read: {error.strerror}"))
        return GitIgnoreSpec([])
    if left_out:
        seen.skipped.append(Skipped(path, f"patterns that are not used: {', '.join(left_out)[:200]}"))
    return spec


def _ignored(name: str, specs: list[tuple[str, GitIgnoreSpec]]) -> bool:
    """Ask the nearest .gitignore first; the first that has an opinion decides."""
    for folder, spec in reversed(specs):
        verdict = spec.check_file(name[len(folder) + 1 :] if folder else name).include
        if verdict is not None:
            return bool(verdict)
    return False
