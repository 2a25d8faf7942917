// Package pgtest runs a private Postgres server for tests: Debian's packages in a temporary
// folder, reached through a Unix socket, gone with the process that started it. It can be
// stopped, killed and started again, for tests of what happens then.
package pgtest
