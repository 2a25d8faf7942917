package rating_test

import (
	"fmt"
	"strings"

	"stargate"
	"stargate/eval"
	"stargate/eval/rating"
)

// A sheet of one comparison goes out; the rater's answer is a record like a judge's.
func Example() {
	pair := stargate.Pair{Task: stargate.Task{ID: "t", Text: "Plan a trip."}, Persona: stargate.Persona{ID: "u", Name: "Ann", Text: "I like trams."}}
	compared := []eval.Compared{{Pair: pair, Base: "m0", Responses: map[string]string{"m0": "Take a car.", "m1": "Take the tram."}, Ballots: map[string][]eval.NamedBallot{"m1": {}}}}
	sheet, key, err := rating.New(compared, rating.Options{Models: []string{"m1"}})
	if err != nil {
		panic(err)
	}
	better := "A"
	if sheet.Items[0].B == "Take the tram." {
		better = "B"
	}
	answers, err := rating.ReadAnswers(strings.NewReader("sheet,item,verdict\n" + sheet.ID + "," + sheet.Items[0].ID + "," + better + "\n"))
	if err != nil {
		panic(err)
	}
	records, err := key.Records(answers, "Eve")
	fmt.Println(records[0].Judge, records[0].Model, records[0].Ballot.Verdict, err)
	// Output: human: Eve m1 A <nil>
}
