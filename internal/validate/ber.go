package validate

// Signed objects have to be DER (RFC 6488, section 2), and until 2019 a registry published them as its CMS library wrote
// them: BER, with indefinite lengths and octet strings in pieces. Validators in use read both. What BER may do otherwise and
// this does not undo, such as tags of more than one octet, is left as it is, for the parser to refuse.

// maxBER is how deep elements may be in one another; those of a signed object are ten deep.
const maxBER = 24

// derOf writes a BER value with definite, shortest lengths and whole octet strings. differs is false where the value is
// written so already, and where it cannot be read; it is then returned as it came.
func derOf(ber []byte) (der []byte, differs bool) {
	w := berReader{}
	rest, ok := w.element(ber, 0, nil)
	if !ok || len(rest) > 0 || !w.differs {
		return ber, false
	}
	out := make([]byte, 0, len(ber))
	w = berReader{write: true}
	_, _ = w.element(ber, 0, &out)
	return out, true
}

// berReader walks BER. With write it writes the value as derOf says; without, it finds whether that differs.
type berReader struct {
	write, differs bool
}

const (
	berConstructed  = 0x20
	berOctets       = 0x04 // OCTET STRING
	berManyOctets   = 0x1F // the mark of a tag that goes on
	berIndefinite   = 0x80 // as a length
	berLengthOctets = 4    // at most
)

// element reads one element, appends it to out when writing, and gives what follows it.
func (w *berReader) element(in []byte, depth int, out *[]byte) (rest []byte, ok bool) {
	if depth > maxBER || len(in) < 2 || in[0]&berManyOctets == berManyOctets {
		return nil, false
	}
	tag := in[0]
	body, rest, indefinite, ok := w.header(in)
	if !ok || indefinite && tag&berConstructed == 0 {
		return nil, false
	}
	if tag&berConstructed == 0 {
		w.emit(out, tag, body)
		return rest, true
	}
	pieces := tag == berOctets|berConstructed
	if pieces {
		tag, w.differs = berOctets, true
	}
	var content []byte
	for {
		if indefinite && len(body) >= 2 && body[0] == 0 && body[1] == 0 {
			rest = body[2:]
			break
		}
		if len(body) == 0 {
			if indefinite {
				return nil, false
			}
			break
		}
		if body, ok = w.child(body, depth, pieces, &content); !ok {
			return nil, false
		}
	}
	w.emit(out, tag, content)
	return rest, true
}

// child reads what is in a constructed element. Of a piece of an octet string only the octets are kept.
func (w *berReader) child(body []byte, depth int, piece bool, content *[]byte) (rest []byte, ok bool) {
	if !piece {
		return w.element(body, depth+1, content)
	}
	var whole []byte
	if rest, ok = w.element(body, depth+1, &whole); !ok || body[0]&^berConstructed != berOctets {
		return nil, false
	}
	if w.write {
		inner := berReader{}
		octets, _, _, ok := inner.header(whole)
		if !ok {
			return nil, false
		}
		*content = append(*content, octets...)
	}
	return rest, true
}

// header reads tag and length. The body of an indefinite length is all that follows.
func (w *berReader) header(in []byte) (body, rest []byte, indefinite, ok bool) {
	length, in := int(in[1]), in[2:]
	switch {
	case length == berIndefinite:
		w.differs = true
		return in, nil, true, true
	case length > berIndefinite:
		n := length - berIndefinite
		if n > berLengthOctets || n > len(in) {
			return nil, nil, false, false
		}
		length = 0
		for _, b := range in[:n] {
			length = length<<8 | int(b)
		}
		if in[0] == 0 || length < berIndefinite {
			w.differs = true
		}
		in = in[n:]
	}
	if length > len(in) {
		return nil, nil, false, false
	}
	return in[:length], in[length:], false, true
}

// emit appends an element in DER.
func (w *berReader) emit(out *[]byte, tag byte, content []byte) {
	if !w.write || out == nil {
		return
	}
	*out = append(*out, tag)
	n := len(content)
	switch {
	case n < 0x80:
		*out = append(*out, byte(n))
	case n < 1<<8:
		*out = append(*out, 0x81, byte(n))
	case n < 1<<16:
		*out = append(*out, 0x82, byte(n>>8), byte(n))
	case n < 1<<24:
		*out = append(*out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	default:
		*out = append(*out, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	*out = append(*out, content...)
}
