# Sourced by the other scripts: makes the virtual environment and installs into it.
# shellcheck shell=bash

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Print the first Python that is new enough and really starts.
find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed; install it, or name one: PYTHON=/path/to/python $0"
}

# make_environment FOLDER: a virtual environment, unless it is there already.
make_environment() {
    local folder=$1 python
    [ -x "$folder/bin/python" ] && return
    python=$(find_python)
    say "making a virtual environment in $folder ($("$python" --version))"
    "$python" -m venv "$folder" ||
        fail "cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv)"
}

# install_project EXTRAS: the project and its dependencies in the versions of constraints.txt.
# Does nothing when they have not changed since the last time.
install_project() {
    local extras=$1 stamp=.venv/installed$1 wanted
    make_environment .venv
    wanted=$(cat pyproject.toml constraints.txt | cksum)
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        say "installing packages (torch is large: about 3 GB to fetch, a few minutes)"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check \
            --constraint constraints.txt --editable ".$extras" ||
            fail "the packages could not be installed; see the lines above, then run it again"
        printf '%s' "$wanted" >"$stamp"
    fi
}

# install_milvus_server: a real Milvus server. Its package is imported as `milvus`, like a folder
# here: hence an environment of its own.
install_milvus_server() {
    if [ -x .venv-milvus/bin/milvus-server ] || [ "$(uname -s)" != Linux ]; then return; fi
    say "installing a Milvus server"
    make_environment .venv-milvus
    .venv-milvus/bin/python -m pip install --quiet --disable-pip-version-check milvus==2.3.5 ||
        say "there is none for this machine; its tests will be marked as not run"
}
