-- Health of an SseApi or SseGateway for Argo CD, from the conditions that docs/reference.md lists.
-- `obj` is the object; Argo CD itself answers for one that is being deleted.
local status = obj.status or {}

local function condition(kind)
  for _, each in ipairs(status.conditions or {}) do
    if each.type == kind then
      return each
    end
  end
  return {}
end

-- Until the operator has judged this very generation, an older verdict counts for nothing.
if status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "The operator has not looked at it yet"}
end

local ready = condition("Ready")
if condition("Stalled").status == "True" or condition("Accepted").status == "False" then
  return {status = "Degraded", message = ready.message or ""}
end
if ready.status == "True" then
  if ready.reason == "Suspended" or ready.reason == "ScaledToZero" then
    return {status = "Suspended", message = ready.message or ""}
  end
  return {status = "Healthy", message = condition("Warning").message or ready.message or ""}
end
return {status = "Progressing", message = ready.message or ""}
