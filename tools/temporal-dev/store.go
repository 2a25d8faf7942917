package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/tools/common/schema"
	"go.temporal.io/server/tools/sql"
)

// Names of the two stores within the server's configuration.
const (
	mainStore       = "main"
	visibilityStore = "visibility"
)

func isPostgres(db string) bool {
	return strings.HasPrefix(db, "postgres://") || strings.HasPrefix(db, "postgresql://")
}

// persistence says where the server keeps its state, makes what is missing there, and how
// to call it towards people.
func persistence(o options, logger log.Logger) (config.Persistence, string, error) {
	if isPostgres(o.db) {
		return postgresPersistence(o, logger)
	}
	return sqlitePersistence(o.db)
}

func sqlitePersistence(file string) (config.Persistence, string, error) {
	db := &config.SQL{PluginName: sqliteplugin.PluginName, DatabaseName: file}
	shown := file
	if file == "" {
		db.DatabaseName, shown = "temporal-dev", "in memory"
		db.ConnectAttributes = map[string]string{"mode": "memory", "cache": "shared"}
	} else {
		// Without an underscore: with one the server passes them on and SQLite ignores them.
		db.ConnectAttributes = map[string]string{"mode": "rwc", "journal_mode": "wal", "synchronous": "1"}
	}
	p := config.Persistence{DefaultStore: mainStore, VisibilityStore: mainStore, NumHistoryShards: 1, DataStores: map[string]config.DataStore{mainStore: {SQL: db}}}
	if file == "" {
		return p, shown, nil
	}
	if _, err := os.Stat(file); err == nil {
		return p, shown, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return p, shown, fmt.Errorf("--db: %w", err)
	}
	if err := newFile(*db); err != nil {
		return p, shown, fmt.Errorf("make the database %s: %w", file, err)
	}
	return p, shown, nil
}

// newFile makes the database beside its place, so that it is there whole or not at all.
func newFile(db config.SQL) error {
	file := db.DatabaseName
	db.DatabaseName += ".new"
	db.ConnectAttributes = map[string]string{"mode": "rwc"} // no write-ahead log to move along
	if err := os.RemoveAll(db.DatabaseName); err != nil {
		return err
	}
	if err := sqlite.SetupSchema(&db); err != nil {
		return err
	}
	return os.Rename(db.DatabaseName, file)
}

func postgresPersistence(o options, logger log.Logger) (config.Persistence, string, error) {
	var none config.Persistence
	u, err := url.Parse(o.db)
	if err != nil { // not quoted: it may hold a password
		return none, "", errors.New("--db is not a URL: want postgres://USER@HOST/DATABASE")
	}
	name := strings.Trim(u.Path, "/")
	if name == "" {
		return none, "", fmt.Errorf("--db %s: it names no database: want postgres://USER@HOST/DATABASE", u.Redacted())
	}
	p := config.Persistence{DefaultStore: mainStore, VisibilityStore: visibilityStore, NumHistoryShards: int32(o.shards), DataStores: make(map[string]config.DataStore)}
	for _, store := range []struct{ name, database, schema string }{
		{mainStore, name, "postgresql/v12/temporal"},
		{visibilityStore, name + "_visibility", "postgresql/v12/visibility"},
	} {
		db := postgresOf(u, store.database)
		if err := prepare(*db, store.schema, logger); err != nil {
			return none, "", fmt.Errorf("make the database %s at %s: %w", store.database, u.Redacted(), err)
		}
		p.DataStores[store.name] = config.DataStore{SQL: db}
	}
	return p, u.Redacted(), nil
}

// postgresOf is the configuration for a database of the server at u.
func postgresOf(u *url.URL, database string) *config.SQL {
	db := &config.SQL{
		PluginName: postgresql.PluginNamePGX, DatabaseName: database, ConnectAddr: u.Host, ConnectProtocol: "tcp",
		ConnectAttributes: make(map[string]string), MaxConns: 20, MaxIdleConns: 20,
	}
	if db.ConnectAddr == "" {
		db.ConnectAddr = "localhost" // a host among the parameters, a socket's folder for example, goes before it
	}
	db.User = u.User.Username()
	db.Password, _ = u.User.Password()
	for k, v := range u.Query() {
		db.ConnectAttributes[k] = v[0]
	}
	return db
}

// prepare makes the database and brings its schema to the version of this server.
func prepare(db config.SQL, schemaName string, logger log.Logger) error {
	whole := db // CreateDatabase changes what it is given
	const exists = "42P04"
	var pg *pgconn.PgError
	if err := sql.DoCreateDatabase(&whole, "postgres", logger); err != nil && !(errors.As(err, &pg) && pg.Code == exists) {
		return err
	}
	conn, err := sql.NewConnection(&db, logger)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ReadSchemaVersion(); err != nil { // a new database
		if err := schema.NewSetupSchemaTask(conn, &schema.SetupConfig{InitialVersion: "0.0"}, logger).Run(); err != nil {
			return err
		}
	}
	return schema.NewUpdateSchemaTask(conn, &schema.UpdateConfig{SchemaName: schemaName}, logger).Run()
}
