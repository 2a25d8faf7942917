package clarify

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"stargate/lm"
)

// needsAsking is the least of ClariQ's labels 1–4 that counts as "ask".
const needsAsking = 3

// readClariQ reads train.tsv, dev.tsv or test_with_labels.tsv: a row per topic, facet and
// question; the label belongs to the topic. Descriptions of topics and facets may stand in
// quotes, with quotes doubled; no column that is read does, and no cell holds a tab or a new
// line.
//
// Checked on 2026-11-26 against data/train.tsv (187 topics), dev.tsv (50), test_with_labels.tsv
// (61), test.tsv (no labels) and the README of github.com/aliannejadi/ClariQ at 46885a54.
func readClariQ(r io.Reader) ([]Item, error) {
	in := bufio.NewReader(r)
	var at map[string]int
	var items []Item
	row := map[string]int{} // of a topic, in items
	for line := 1; ; line++ {
		text, err := in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		end := errors.Is(err, io.EOF)
		if text = strings.TrimRight(text, "\r\n"); text != "" {
			cells := strings.Split(text, "\t")
			if at == nil {
				if at, err = columns(cells, "topic_id", "initial_request", "clarification_need"); err != nil {
					return nil, err
				}
			} else if err := topic(&items, row, at, cells); err != nil {
				return nil, fmt.Errorf("%w, line %d: %w", ErrFormat, line, err)
			}
		}
		if end {
			return items, nil
		}
	}
}

func columns(head []string, must ...string) (map[string]int, error) {
	at := map[string]int{}
	for i, h := range head {
		at[strings.ReplaceAll(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")), " ", "_")] = i
	}
	for _, m := range must {
		if _, ok := at[m]; !ok {
			return nil, fmt.Errorf("%w: there is no column %s (there are %s); a file without labels cannot be scored", ErrFormat, m, strings.Join(head, ", "))
		}
	}
	return at, nil
}

func topic(items *[]Item, row map[string]int, at map[string]int, cells []string) error {
	get := func(name string) string {
		if i, ok := at[name]; ok && i < len(cells) {
			return strings.TrimSpace(cells[i])
		}
		return ""
	}
	id, request := get("topic_id"), get("initial_request")
	need, err := strconv.Atoi(get("clarification_need"))
	if err != nil || need < 1 || need > 4 {
		return fmt.Errorf("clarification_need is %q, want 1 to 4", get("clarification_need"))
	}
	if i, ok := row[id]; ok {
		if (*items)[i].Kind != strconv.Itoa(need) {
			return fmt.Errorf("topic %s has the label %d here and %s before", id, need, (*items)[i].Kind)
		}
		return nil
	}
	row[id] = len(*items)
	*items = append(*items, Item{ID: id, Group: id, Kind: strconv.Itoa(need), Chat: lm.Chat{user(request)}, Ask: need >= needsAsking, Reference: get("question")})
	return nil
}
