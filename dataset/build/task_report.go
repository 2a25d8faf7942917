package build

import (
	"slices"
	"strings"

	"stargate/dataset"
)

// TaskReport says what an import did with every entry.
type TaskReport struct {
	Read    int               `json:"read"`
	Kept    int               `json:"kept"`
	Undealt int               `json:"undealt"` // good, but the splits were full
	Splits  map[string]int    `json:"splits,omitempty"`
	Words   Spread            `json:"words"`
	Dropped []dataset.Dropped `json:"dropped"`
	Near    []Cluster         `json:"near"`  // near-duplicates among what was read
	Leaks   []Leak            `json:"leaks"` // texts that two splits share, or nearly share

	where map[string]string // of a task, by id
}

// Cluster are texts that are near-duplicates, directly or through another of them.
type Cluster struct {
	Members []string `json:"members"` // ids
	Texts   []string `json:"texts"`
	Least   float64  `json:"least"` // the lowest similarity that joined two of them
	Most    float64  `json:"most"`
}

// Leak is a text of one split that is in another one too.
type Leak struct {
	A          string  `json:"a"` // place in the files
	B          string  `json:"b"`
	SplitA     string  `json:"split_a"`
	SplitB     string  `json:"split_b"`
	Text       string  `json:"text"`
	Similarity float64 `json:"similarity"` // 1 = the same words
}

// Spread are quantiles of a count.
type Spread struct {
	Least  int `json:"least"`
	Median int `json:"median"`
	P95    int `json:"p95"`
	Most   int `json:"most"`
}

func spreadOf(counts []int) Spread {
	if len(counts) == 0 {
		return Spread{}
	}
	c := slices.Clone(counts)
	slices.Sort(c)
	return Spread{c[0], c[len(c)/2], c[len(c)*95/100], c[len(c)-1]}
}

// near records the clusters and, where the files gave splits, the leaks.
func (r *TaskReport) near(tasks []Task, groups [][]int, pairs []pair, least float64) {
	of := map[int]int{}
	for k, g := range groups {
		c := Cluster{Least: 1, Most: least}
		for _, i := range g {
			of[i] = k
			c.Members, c.Texts = append(c.Members, tasks[i].ID), append(c.Texts, tasks[i].Text)
		}
		r.Near = append(r.Near, c)
	}
	for _, p := range pairs {
		c := &r.Near[of[p.i]]
		c.Least, c.Most = min(c.Least, p.same), max(c.Most, p.same)
		a, b := tasks[p.i], tasks[p.j]
		if a.Split != b.Split {
			r.Leaks = append(r.Leaks, Leak{A: r.where[a.ID], B: r.where[b.ID], SplitA: a.Split, SplitB: b.Split, Text: b.Text, Similarity: p.same})
		}
	}
}

// finish counts what is kept.
func (r *TaskReport) finish(tasks []Task) {
	r.Kept = len(tasks)
	var words []int
	for _, t := range tasks {
		words = append(words, len(strings.Fields(t.Text)))
		if t.Split != "" {
			if r.Splits == nil {
				r.Splits = map[string]int{}
			}
			r.Splits[t.Split]++
		}
	}
	r.Words = spreadOf(words)
	if r.Dropped == nil {
		r.Dropped = []dataset.Dropped{} // in JSON an empty list, not null
	}
	if r.Near == nil {
		r.Near = []Cluster{}
	}
	if r.Leaks == nil {
		r.Leaks = []Leak{}
	}
}
