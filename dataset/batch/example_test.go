package batch_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"stargate/dataset/batch"
	"stargate/dataset/batch/batchtest"
	"stargate/ledger"
	"stargate/lm"
	"stargate/lm/remote"
	"stargate/lm/remote/fleet"
)

// A batch answers questions into a ledger; the journaled driver then finds them there.
func Example() {
	dir, err := os.MkdirTemp("", "batch")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	server := batchtest.New() // stands for the provider
	defer server.Close()
	fmt.Println(ask(context.Background(), server.URL, dir))
	// Output: You said: Shall I take an umbrella? <nil>
}

func ask(ctx context.Context, url, dir string) (string, error) {
	journal, err := ledger.Open(filepath.Join(dir, "ledger.db"), ledger.Identity{Name: "example", Digest: "1"})
	if err != nil {
		return "", err
	}
	defer journal.Close()
	role := remote.Role{URL: url, Model: "oracle", Server: remote.Hosted}
	settings, err := role.Fleet("oracle", os.Getenv)
	if err != nil {
		return "", err
	}
	live, err := fleet.New(settings)
	if err != nil {
		return "", err
	}
	defer live.Close()
	mail := batch.NewTransport(live, journal, false)
	client, err := remote.Open(ctx, role, remote.Options{Transport: mail}) // the probe is live
	if err != nil {
		return "", err
	}
	mail.Arm() // from here on answers come from batches
	provider, err := batch.OpenAI(role, os.Getenv)
	if err != nil {
		return "", err
	}
	driver := mail.Driver(client)
	question := batch.Question{Chat: lm.Chat{{Role: lm.User, Content: "Shall I take an umbrella?"}}, Sampling: lm.Sampling{MaxTokens: 20}}
	if err := batch.NewFiller(driver, provider, journal, batch.Options{}).Fill(ctx, []batch.Question{question}); err != nil {
		return "", err
	}
	c, err := journal.Generator("oracle", client.Digest(), driver).Generate(ctx, question.Chat, question.Sampling)
	return c.Text, err
}
