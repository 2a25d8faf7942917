package build

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"stargate/dataset"
)

// Task is a task with its split.
type Task struct {
	ID    string `json:"id"`
	Text  string `json:"task"`
	Split string `json:"split,omitempty"`
}

// File is a named file with its contents. The name's extension says the format.
type File struct {
	Name  string
	Data  []byte
	Split string // if not "", that of every entry, and part of its id (the authors keep a file per split)
}

// TaskOptions say which tasks are kept and how they are dealt. Zero values keep all.
type TaskOptions struct {
	Column   string  // field with the text; "" = task, text, prompt, query or instruction
	Limit    int     // entries read, over all files; the paper took the first 550
	MinWords int     // fewer words drop a task; 0 = off
	MaxWords int     // more words drop a task; 0 = off
	Language string  // "en" drops what does not look like English; "" = off
	Near     float64 // similarity of near-duplicates; 0 = DefaultNear
	DropNear bool    // keep only the first of a cluster
	Seed     uint64  // names the deal
	A, B     int     // tasks per split; all three 0 = no deal
	Test     int
}

// DefaultNear is the similarity from which two tasks are near-duplicates. On the paper's
// tasks it joins "study for a test" with "study for a math test", and parts "How much water
// should I drink daily" (0.68 with "per day") only just.
const DefaultNear = 0.7

// Tasks reads, cleans and deals the tasks of files. The result depends on the files' entries
// and the options alone. Entries that say their split keep it.
func Tasks(files []File, o TaskOptions) ([]Task, *TaskReport, error) {
	if o.Near == 0 {
		o.Near = DefaultNear
	}
	if o.Near < 0 || o.Near > 1 {
		return nil, nil, fmt.Errorf("near-duplicates: a similarity of %g is not between 0 and 1", o.Near)
	}
	if o.Language != "" && o.Language != "en" {
		return nil, nil, fmt.Errorf("language %q: the only heuristic there is looks for en", o.Language)
	}
	entries, err := readEntries(files, o)
	if err != nil {
		return nil, nil, err
	}
	report := &TaskReport{Read: len(entries)}
	tasks, err := unique(entries, o, report)
	if err != nil {
		return nil, nil, err
	}
	pairs := nearPairs(texts(tasks), o.Near)
	groups := clusters(len(tasks), pairs)
	report.near(tasks, groups, pairs, o.Near)
	if o.DropNear {
		tasks = dropNear(tasks, groups, report)
		pairs, groups = nil, nil
	}
	if o.A+o.B+o.Test > 0 {
		if tasks, err = deal(tasks, groups, o, report); err != nil {
			return nil, nil, err
		}
	}
	report.finish(tasks)
	return tasks, report, nil
}

func readEntries(files []File, o TaskOptions) ([]dataset.Entry, error) {
	var all []dataset.Entry
	for _, f := range files {
		entries, err := dataset.TaskEntries(f.Name, f.Data, o.Column)
		if err != nil {
			return nil, err
		}
		for i := range entries {
			if entries[i].ID == "" {
				entries[i].ID = fmt.Sprintf("prompt-%d", len(all)+i)
			}
			if f.Split != "" {
				entries[i].Split, entries[i].ID = f.Split, fmt.Sprintf("%s-prompt-%d", f.Split, i)
			}
		}
		all = append(all, entries...)
	}
	if o.Limit > 0 && len(all) > o.Limit {
		all = all[:o.Limit]
	}
	return all, nil
}

// unique drops what is empty, filtered or repeated. Of a text that two splits have, the
// first stays and the leak is reported.
func unique(entries []dataset.Entry, o TaskOptions, report *TaskReport) ([]Task, error) {
	var tasks []Task
	first, ids := map[string]int{}, map[string]string{}
	where := []string{}
	for _, e := range entries {
		key := dataset.Fold(e.Text)
		if reason := unwanted(key, e.Text, o); reason != "" {
			report.Dropped = append(report.Dropped, dataset.Dropped{Where: e.Where, Reason: reason})
			continue
		}
		if k, ok := first[key]; ok {
			report.Dropped = append(report.Dropped, dataset.Dropped{Where: e.Where, Reason: "repeats " + where[k]})
			if tasks[k].Split != e.Split {
				report.Leaks = append(report.Leaks, Leak{A: where[k], B: e.Where, SplitA: tasks[k].Split, SplitB: e.Split, Text: e.Text, Similarity: 1})
			}
			continue
		}
		if at, ok := ids[e.ID]; ok {
			return nil, fmt.Errorf("%w: %s: id %q is also that of %s", dataset.ErrFormat, e.Where, e.ID, at)
		}
		ids[e.ID], first[key] = e.Where, len(tasks)
		tasks = append(tasks, Task{ID: e.ID, Text: e.Text, Split: e.Split})
		where = append(where, e.Where)
	}
	report.where = map[string]string{}
	for i, t := range tasks {
		report.where[t.ID] = where[i]
		if (t.Split == "") != (tasks[0].Split == "") {
			return nil, fmt.Errorf("%w: %s gives a split and %s does not, or the reverse; give all or none", dataset.ErrFormat, where[i], where[0])
		}
	}
	return tasks, nil
}

func unwanted(key, text string, o TaskOptions) string {
	switch words := len(strings.Fields(text)); {
	case key == "":
		return "empty"
	case words < o.MinWords:
		return fmt.Sprintf("%d words, fewer than %d", words, o.MinWords)
	case o.MaxWords > 0 && words > o.MaxWords:
		return fmt.Sprintf("%d words, more than %d", words, o.MaxWords)
	case o.Language == "en" && !looksEnglish(text):
		return "does not look like English"
	}
	return ""
}

func texts(tasks []Task) []string {
	out := make([]string, len(tasks))
	for i, t := range tasks {
		out[i] = t.Text
	}
	return out
}

func dropNear(tasks []Task, groups [][]int, report *TaskReport) []Task {
	gone := map[int]bool{}
	for _, g := range groups {
		for _, i := range g[1:] {
			gone[i] = true
			report.Dropped = append(report.Dropped, dataset.Dropped{Where: report.where[tasks[i].ID], Reason: "nearly repeats " + report.where[tasks[g[0]].ID]})
		}
	}
	var kept []Task
	for i, t := range tasks {
		if !gone[i] {
			kept = append(kept, t)
		}
	}
	return kept
}

// deal gives whole clusters to the splits, by the hash of seed and text that [dataset.Make]
// uses. A cluster too large for what is left of a split goes to the next that has room.
func deal(tasks []Task, groups [][]int, o TaskOptions, report *TaskReport) ([]Task, error) {
	if slices.ContainsFunc(tasks, func(t Task) bool { return t.Split != "" }) {
		return nil, fmt.Errorf("%w: the files give splits; leave out the numbers of tasks to keep those, or the splits to deal anew", dataset.ErrFormat)
	}
	together := make([]int, len(tasks)) // index of the cluster's first task
	for i := range together {
		together[i] = i
	}
	for _, g := range groups {
		for _, i := range g {
			together[i] = g[0]
		}
	}
	members := map[int][]int{}
	var heads []int
	for i, h := range together {
		if h == i {
			heads = append(heads, h)
		}
		members[h] = append(members[h], i)
	}
	ranks := map[int]uint64{} // of a cluster: the lowest of its tasks, so that their order is nothing
	for _, h := range heads {
		ranks[h] = math.MaxUint64
		for _, i := range members[h] {
			ranks[h] = min(ranks[h], dataset.Rank(o.Seed, "task", tasks[i].Text))
		}
	}
	slices.SortStableFunc(heads, func(a, b int) int { return cmp.Compare(ranks[a], ranks[b]) })
	room := []int{o.A, o.B, o.Test}
	for _, h := range heads {
		for s := range room {
			if len(members[h]) <= room[s] {
				room[s] -= len(members[h])
				for _, i := range members[h] {
					tasks[i].Split = dataset.SplitNames()[s]
				}
				break
			}
		}
	}
	for s, left := range room {
		if left > 0 {
			return nil, fmt.Errorf("%d tasks cannot fill the splits: %s lacks %d; ask for fewer, give more files, or raise the limit", len(tasks), dataset.SplitNames()[s], left)
		}
	}
	var dealt []Task
	for _, t := range tasks {
		if t.Split == "" {
			report.Undealt++
			continue
		}
		dealt = append(dealt, t)
	}
	slices.SortStableFunc(dealt, func(a, b Task) int { return cmp.Compare(splitOrder(a.Split), splitOrder(b.Split)) })
	return dealt, nil
}

func splitOrder(name string) int { return slices.Index(dataset.SplitNames(), name) }
