#!/usr/bin/env bash
# Start the assistant on http://127.0.0.1:8080, or run one of its commands:
#   bash deploy/run.sh
#   bash deploy/run.sh ask "How do I return an item?"
#   bash deploy/run.sh --help
# The first run makes .venv and fetches the default models; later runs start at once and need no network.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

make_environment
export ASSISTANT_CONFIG="${ASSISTANT_CONFIG:-$repository/deploy/assistant.toml}"
[ $# -gt 0 ] || set -- serve
exec "$environment/bin/assistant" "$@"
