// Package temporaltest runs a private Temporal server with its web UI for tests: the program
// of tools/temporal-dev, with a SQLite file of its own or with databases of a pgtest cluster.
// It can be killed, stopped, frozen and started again at the same address, for tests of what
// happens then. A [Link] is a way to a server that can be cut, a [Gateway] one that wants
// certificates and keys.
//
// The program is bin/temporal-dev (make temporal-dev), or what STARGATE_TEMPORAL_DEV names.
// Tests are skipped where it is not built.
package temporaltest
