package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// DefaultRevision is the branch that a name without revision means.
const DefaultRevision = "main"

// ErrName is returned for what cannot be the name of a model.
var ErrName = errors.New("not a model name")

// Name is a model of the Hub at a revision.
type Name struct {
	Repo     string // ORG/NAME
	Revision string // branch, tag or commit
}

var (
	// part is what the Hub allows on either side of the slash.
	part   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$`)
	commit = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// ParseName reads ORG/NAME or ORG/NAME@REVISION.
func ParseName(s string) (Name, error) {
	repo, revision, pinned := strings.Cut(s, "@")
	if !pinned {
		revision = DefaultRevision
	}
	org, name, ok := strings.Cut(repo, "/")
	if !ok || !isPart(org) || !isPart(name) || strings.HasSuffix(name, ".git") {
		return Name{}, fmt.Errorf("%w: %q; it has the form ORG/NAME or ORG/NAME@REVISION", ErrName, s)
	}
	return Name{Repo: repo}.At(revision)
}

// At is the same model at another revision.
func (n Name) At(revision string) (Name, error) {
	err := n.setRevision(revision)
	return n, err
}

// setRevision refuses what would not be a path below refs/.
func (n *Name) setRevision(revision string) error {
	if !fs.ValidPath(revision) || revision == "." || strings.ContainsFunc(revision, func(r rune) bool { return r <= ' ' || strings.ContainsRune("\\:*?\"<>|~^\x7f", r) }) {
		return fmt.Errorf("%w: %q is no revision; give a branch, a tag or a commit", ErrName, revision)
	}
	n.Revision = revision
	return nil
}

func isPart(s string) bool {
	return part.MatchString(s) && !strings.Contains(s, "--") && !strings.Contains(s, "..")
}

// String is the name as ParseName reads it.
func (n Name) String() string {
	if n.Revision == DefaultRevision || n.Revision == "" {
		return n.Repo
	}
	return n.Repo + "@" + n.Revision
}
