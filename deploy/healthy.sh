#!/bin/sh
# healthy             succeeds if Redis lists a living worker of this container for the account `default`
# healthy ACCOUNT     the same for another account
# healthy PORT        succeeds if a server of this container accepts a connection on PORT
case "${1:-default}" in
  *[!0-9]*) sesq status --json --account "${1:-default}" | grep -qF "\"host\": \"$(hostname)\"" ;;
  *) exec python -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5).close()' "$1" ;;
esac
