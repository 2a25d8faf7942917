package fleet_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"stargate/internal/simserver"
	"stargate/lm"
	"stargate/lm/remote"
	"stargate/lm/remote/fleet"
)

// A role played by two servers: a driver of package remote over a fleet.
func Example() {
	ctx := context.Background()
	server, err := simserver.New(simserver.Options{Model: "m", Hardware: simserver.Usual(), Lengths: simserver.Lengths{Median: 6}, Scale: 100})
	if err != nil {
		log.Fatal(err)
	}
	gpu1, gpu2 := httptest.NewServer(server), httptest.NewServer(server)
	defer gpu1.Close()
	defer gpu2.Close()

	f, err := fleet.New(fleet.Options{
		Role:      "questioner",
		Endpoints: []fleet.Endpoint{{URL: gpu1.URL, Most: 128}, {URL: gpu2.URL, Most: 128, RequestsPerMinute: 6000}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()

	questioner, err := remote.Open(ctx, remote.Role{URL: gpu1.URL, Model: "m"}, remote.Options{Transport: f})
	if err != nil {
		log.Fatal(err)
	}
	c, err := questioner.Generate(ctx, lm.Chat{{Role: lm.User, Content: "My name is Ada. Plan a party. Ask me."}}, lm.Sampling{MaxTokens: 20})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Text)
	fmt.Println(f.Stats().Retries(), "retries")
	// Output:
	// What fuse pe lobu?
	// 0 retries
}
