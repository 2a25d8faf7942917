package main

import (
	"cmp"
	"os"

	"github.com/spf13/cobra"

	"stargate/runner"
)

// Where a run keeps what several machines need, for commands that are not told by a flag.
const (
	ledgerVariable = "STARGATE_LEDGER"
	storeVariable  = "STARGATE_STORE"
)

func storageFlags(c *cobra.Command, o *runner.Options) {
	f := c.Flags()
	f.StringVar(&o.Ledger, "ledger", "", "Postgres database of the ledger, as postgres://USER@HOST/DATABASE; the password comes from PGPASSWORD or ~/.pgpass (default $"+ledgerVariable+", or the experiment's, or a file in the run directory)")
	f.StringVar(&o.Store, "store", "", "where to publish models and conversations for other machines, as s3://BUCKET/PREFIX or file:///FOLDER (default $"+storeVariable+", or the experiment's, or nowhere)")
}

// storageOf takes from the environment what no flag says.
func storageOf(o *runner.Options) {
	o.Ledger = cmp.Or(o.Ledger, os.Getenv(ledgerVariable))
	o.Store = cmp.Or(o.Store, os.Getenv(storeVariable))
}
