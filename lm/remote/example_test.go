package remote_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/remote"
	"stargate/nano"
	"stargate/serve"
)

// A model behind HTTP scores, once its server has passed the audit.
func Example() {
	files, err := nano.ModelFS()
	if err != nil {
		log.Fatal(err)
	}
	model, err := local.Open(files, local.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	server := httptest.NewServer(serve.New(model, serve.Options{Name: "nano"}))
	defer server.Close()

	ctx := context.Background()
	role := remote.Role{URL: server.URL, Price: remote.Price{Input: 1, Output: 2}}
	budget := remote.NewBudget(remote.Limits{Cost: 0.1})
	scorer, err := remote.Open(ctx, role, remote.Options{Name: "scorer", Account: budget.Account("scorer", role.Price)})
	if err != nil {
		log.Fatal(err)
	}
	defer scorer.Close()
	if _, err := scorer.Audit(ctx, remote.AuditOptions{}); err != nil {
		log.Fatal(err)
	}
	chat := lm.Chat{{Role: lm.User, Content: "My name is Ada. I would like a dinner recipe."}}
	score, err := scorer.LogProb(ctx, chat, "What do you like to eat?")
	if err != nil {
		log.Fatal(err)
	}
	inProcess, err := model.LogProb(ctx, chat, "What do you like to eat?")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(scorer.Facts().Server, scorer.Facts().Scoring)
	fmt.Println("the same bits:", score.Sum == inProcess.Sum)
	fmt.Println("spent anything:", budget.Cost() > 0)
	// Output:
	// stargate [prompt_logprobs echo]
	// the same bits: true
	// spent anything: true
}
