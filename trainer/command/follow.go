package command

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"
)

// follower reads what is appended to a log.
type follower struct {
	path string
	at   int64
	rest string // a line that has not ended
	tail []string
}

// tailLines and tailWidth bound what an error shows of a log.
const (
	tailLines = 20
	tailWidth = 300
	mostRest  = 1 << 20 // a line longer than this is cut into several
)

// lines are the lines since the last call, and whether anything was written at all. A bar that
// draws over itself writes without ending lines: each drawing is a line.
func (f *follower) lines(last bool) (lines []string, moved bool, err error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) { // nothing was printed yet
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	if _, err := file.Seek(f.at, io.SeekStart); err != nil {
		return nil, false, err
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, false, err
	}
	f.at += int64(len(data))
	text := f.rest + string(data)
	end := strings.LastIndexAny(text, "\r\n") + 1
	if last || len(text)-end > mostRest {
		end = len(text)
	}
	f.rest = text[end:]
	for line := range strings.FieldsFuncSeq(text[:end], func(r rune) bool { return r == '\r' || r == '\n' }) {
		if line = strings.TrimRight(line, " \t"); line == "" {
			continue
		}
		lines = append(lines, line)
		f.tail = append(f.tail, cut(line))
	}
	if n := len(f.tail) - tailLines; n > 0 {
		f.tail = append([]string(nil), f.tail[n:]...)
	}
	return lines, len(data) > 0, nil
}

func cut(line string) string {
	line = strings.ToValidUTF8(line, "\uFFFD")
	if len(line) <= tailWidth {
		return line
	}
	end := tailWidth
	for !utf8.RuneStart(line[end]) {
		end--
	}
	return line[:end] + "…"
}
