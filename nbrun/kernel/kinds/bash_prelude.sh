__nbrun_same() { :; }
__nbrun_note() { __nbrun_failed=${__nbrun_failed:-$1}; }
trap '__nbrun_note "$?"' ERR
set -E
