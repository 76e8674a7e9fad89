//! The few pickle instructions that a state dict consists of, read as data: nothing is imported, nothing is called.
//!
//! A state dict is a (possibly ordered) dictionary from strings to tensors, and a tensor is written as
//! `_rebuild_tensor_v2(storage, offset, sizes, strides, ...)` where the storage is a "persistent id"
//! `("storage", type, key, device, length)` (Python's `pickletools`; PyTorch's notes on serialization semantics).

/// The deepest nesting of values.
const MAX_DEPTH: usize = 64;

/// The most values that a pickle may build; a state dict of the largest RegNet needs some ten thousand.
const MAX_VALUES: usize = 1 << 20;

/// A value of a pickle.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Int(i64),
    Text(String),
    /// Tuples and lists.
    Sequence(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// `module.name`, not imported.
    Global(String),
    /// A reference to a storage.
    Persistent(Box<Value>),
    /// A call that was not made: the function's name and the arguments.
    Call(String, Box<Value>),
}

/// Reads one pickle of protocol 2 to 5.
///
/// # Errors
/// A sentence about what is not understood.
pub(super) fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut machine = Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: Vec::new(), built: 0 };
    loop {
        if let Some(value) = machine.step()? {
            return Ok(value);
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: Vec<Option<Value>>,
    built: usize,
}

impl Machine<'_> {
    fn step(&mut self) -> Result<Option<Value>, String> {
        match self.byte()? {
            0x80 => drop(self.byte()?),
            // A frame's length: frames only help readers of streams.
            0x95 => drop(self.take(8)?),
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Int(1))?,
            0x89 => self.push(Value::Int(0))?,
            b'K' => {
                let value = self.little_endian(1)?;
                self.push(Value::Int(value))?;
            }
            b'M' => {
                let value = self.little_endian(2)?;
                self.push(Value::Int(value))?;
            }
            b'J' => {
                let value = self.little_endian(4)?;
                self.push(Value::Int(i64::from(value as u32 as i32)))?;
            }
            0x8a => {
                let length = self.length(1)?;
                let bytes = self.take(length)?;
                let value = whole_number(bytes).ok_or("a number of more than 64 bits")?;
                self.push(Value::Int(value))?;
            }
            b'G' => {
                self.take(8)?;
                self.push(Value::None)?;
            }
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(format!("{module}.{name}")))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (module, name) else {
                    return Err("a name that is no text".into());
                };
                self.push(Value::Global(format!("{module}.{name}")))?;
            }
            b')' | b']' => self.push(Value::Sequence(Vec::new()))?,
            b'}' => self.push(Value::Dict(Vec::new()))?,
            b't' | b'l' => {
                let items = self.pop_mark()?;
                self.push(Value::Sequence(items))?;
            }
            count @ 0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(count - 0x84)).ok_or("an empty stack")?;
                let items = self.stack.split_off(from);
                self.push(Value::Sequence(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(vec![key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.insert(items)?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Persistent(Box::new(id)))?;
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let Value::Global(name) = function else { return Err("a call of what is no function".into()) };
                let dictionary = name == "collections.OrderedDict";
                self.push(if dictionary { Value::Dict(Vec::new()) } else { Value::Call(name, Box::new(arguments)) })?;
            }
            // Attributes set on an object (a state dict's `_metadata`): not needed.
            b'b' => drop(self.pop()?),
            b'q' => {
                let slot = self.length(1)?;
                self.remember(slot)?;
            }
            b'r' => {
                let slot = self.length(4)?;
                self.remember(slot)?;
            }
            0x94 => self.remember(self.memo.len())?,
            b'h' => {
                let slot = self.length(1)?;
                self.recall(slot)?;
            }
            b'j' => {
                let slot = self.length(4)?;
                self.recall(slot)?;
            }
            other => return Err(format!("pickle instruction 0x{other:02x}, which no state dict needs")),
        }
        Ok(None)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, length: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(length).filter(|&end| end <= self.bytes.len()).ok_or("it ends too early")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn little_endian(&mut self, length: usize) -> Result<i64, String> {
        Ok(self.take(length)?.iter().rev().fold(0, |sum, &byte| sum << 8 | i64::from(byte)))
    }

    fn length(&mut self, bytes: usize) -> Result<usize, String> {
        usize::try_from(self.little_endian(bytes)?).map_err(|_| "an impossible length".into())
    }

    fn text(&mut self, bytes: usize) -> Result<(), String> {
        let length = self.length(bytes)?;
        let text = String::from_utf8(self.take(length)?.to_vec()).map_err(|_| "text that is not UTF-8")?;
        self.push(Value::Text(text))
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or("it ends too early")?;
        let line = String::from_utf8(rest[..length].to_vec()).map_err(|_| "text that is not UTF-8")?;
        self.at += length + 1;
        Ok(line)
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        self.count(&value)?;
        self.stack.push(value);
        Ok(())
    }

    /// Counts the values built, so that a small file cannot fill the memory by recalling what it built before.
    fn count(&mut self, value: &Value) -> Result<(), String> {
        self.built += size(value, MAX_DEPTH)?;
        if self.built > MAX_VALUES { Err("more values than any state dict has".into()) } else { Ok(()) }
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| "an empty stack".into())
    }

    fn pop_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len()).ok_or("a missing mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), String> {
        match self.stack.last_mut() {
            Some(Value::Sequence(sequence)) => {
                check_depth(&items)?;
                sequence.extend(items);
            }
            _ => return Err("items without a list".into()),
        }
        Ok(())
    }

    fn insert(&mut self, items: Vec<Value>) -> Result<(), String> {
        check_depth(&items)?;
        let Some(Value::Dict(entries)) = self.stack.last_mut() else {
            return Err("entries without a dictionary".into());
        };
        let mut items = items.into_iter();
        while let Some(key) = items.next() {
            entries.push((key, items.next().ok_or("a key without a value")?));
        }
        Ok(())
    }

    /// Remembers the value on top. A dictionary or list is remembered as it is now, empty, which is all that a state
    /// dict needs: none of its parts refers back to the whole.
    fn remember(&mut self, slot: usize) -> Result<(), String> {
        if slot > self.memo.len() + 1024 {
            return Err("an impossible memo".into());
        }
        let value = self.stack.last().ok_or("an empty stack")?.clone();
        self.count(&value)?;
        if self.memo.len() <= slot {
            self.memo.resize(slot + 1, None);
        }
        self.memo[slot] = Some(value);
        Ok(())
    }

    fn recall(&mut self, slot: usize) -> Result<(), String> {
        let value = self.memo.get(slot).cloned().flatten().ok_or("a missing memo")?;
        self.push(value)
    }
}

/// Refuses items that would make what they are put into nest too deeply.
fn check_depth(items: &[Value]) -> Result<(), String> {
    items.iter().try_for_each(|item| size(item, MAX_DEPTH - 1).map(drop))
}

/// The number of values in a value; refuses nesting deeper than `depth`.
fn size(value: &Value, depth: usize) -> Result<usize, String> {
    let deeper = depth.checked_sub(1).ok_or("values nested too deeply")?;
    match value {
        Value::Sequence(items) => items.iter().try_fold(1, |sum, item| Ok(sum + size(item, deeper)?)),
        Value::Dict(entries) => {
            let mut parts = entries.iter().flat_map(|(key, value)| [key, value]);
            parts.try_fold(1, |sum, part| Ok(sum + size(part, deeper)?))
        }
        Value::Persistent(inner) | Value::Call(_, inner) => Ok(1 + size(inner, deeper)?),
        _ => Ok(1),
    }
}

/// A little-endian two's complement number of any length up to 8 bytes.
fn whole_number(bytes: &[u8]) -> Option<i64> {
    if bytes.len() > 8 {
        return None;
    }
    let negative = bytes.last().is_some_and(|&last| last & 0x80 != 0);
    let start = if negative { -1 } else { 0 };
    Some(bytes.iter().rev().fold(start, |sum, &byte| sum << 8 | i64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_as_python_pickles_it_is_read() {
        // pickle.dumps({'a': (1, -2, 300), 'b': [None, True]}, 2)
        let bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x01J\xfe\xff\xff\xffM,\x01\x87q\x02X\x01\x00\x00\x00bq\x03]q\x04(N\x88eu.";
        let numbers = Value::Sequence(vec![Value::Int(1), Value::Int(-2), Value::Int(300)]);
        let list = Value::Sequence(vec![Value::None, Value::Int(1)]);
        let expected = vec![(Value::Text("a".into()), numbers), (Value::Text("b".into()), list)];
        assert_eq!(read(bytes), Ok(Value::Dict(expected)));
    }

    #[test]
    fn a_call_is_kept_as_data_and_never_made() {
        // pickle.dumps of an object whose __reduce__ is (os.system, ('true',))
        let bytes = b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03.";
        let arguments = Value::Sequence(vec![Value::Text("true".into())]);
        assert_eq!(read(bytes), Ok(Value::Call("posix.system".into(), Box::new(arguments))));
    }

    #[test]
    fn cut_and_foreign_bytes_are_refused_without_panic() {
        let whole = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x01u.";
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err());
        }
        for byte in 0..=255 {
            let _ = read(&[byte, byte, byte, b'.']);
        }
        let deep: Vec<u8> = std::iter::once(b')').chain(std::iter::repeat_n(0x85, 10_000)).chain([b'.']).collect();
        assert!(read(&deep).is_err());
        let deep: Vec<u8> = [vec![b']'; 10_000], vec![b'a'; 9_999], vec![b'.']].concat();
        assert!(read(&deep).is_err());
    }
}
